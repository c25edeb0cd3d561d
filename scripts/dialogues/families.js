// Simple questions in families: what is asked about each item, and how. {x} is the item, {X} the same at the start of a
// sentence, {y} the answer in a few words; {a x} has an article. The last of `ask` is in no dialogue for training; of the
// others, each item leaves out two.

const pairs = (text) =>
  text
    .trim()
    .split(/\s*,\s*/)
    .map((pair) => pair.split(/\s*:\s*/));

const countries = `
  France: Paris: Europe, Italy: Rome: Europe, Spain: Madrid: Europe, Portugal: Lisbon: Europe, Germany: Berlin: Europe,
  Austria: Vienna: Europe, Poland: Warsaw: Europe, Greece: Athens: Europe, Norway: Oslo: Europe, Sweden: Stockholm: Europe,
  Finland: Helsinki: Europe, Denmark: Copenhagen: Europe, Ireland: Dublin: Europe, Hungary: Budapest: Europe,
  Belgium: Brussels: Europe, Iceland: Reykjavik: Europe, Romania: Bucharest: Europe, Bulgaria: Sofia: Europe,
  Japan: Tokyo: Asia, China: Beijing: Asia, India: New Delhi: Asia, Thailand: Bangkok: Asia, Vietnam: Hanoi: Asia,
  Nepal: Kathmandu: Asia, Mongolia: Ulaanbaatar: Asia, Iran: Tehran: Asia, Iraq: Baghdad: Asia,
  Egypt: Cairo: Africa, Kenya: Nairobi: Africa, Ghana: Accra: Africa, Morocco: Rabat: Africa, Senegal: Dakar: Africa,
  Ethiopia: Addis Ababa: Africa, Uganda: Kampala: Africa, Tunisia: Tunis: Africa, Angola: Luanda: Africa,
  Canada: Ottawa: North America, Mexico: Mexico City: North America, Cuba: Havana: North America,
  Peru: Lima: South America, Chile: Santiago: South America, Argentina: Buenos Aires: South America,
  Brazil: Brasilia: South America, Ecuador: Quito: South America, Colombia: Bogota: South America`;

/** How an item of the family before is asked about again. */
const again = ['And {x}?', 'What about {x}?', 'And what about {x}?', 'How about {x}?'];

export const families = [
  {
    name: 'capitals',
    items: pairs(countries).map(([country, capital]) => [country, capital]),
    ask: [
      'What is the capital of {x}?',
      'Which city is the capital of {x}?',
      'What is the name of the capital of {x}?',
      'Tell me the capital of {x}.',
      'Name the capital of {x}.',
      'Do you know the capital of {x}?',
      'Can you tell me the capital of {x}?',
      'The capital of {x} is which city?',
      'I would like to know the capital of {x}.',
      'Please tell me what the capital of {x} is.',
    ],
    answer: 'The capital of {x} is {y}.',
    again,
  },
  {
    name: 'continents',
    items: pairs(countries).map(([country, , continent]) => [country, continent]),
    ask: [
      'On which continent is {x}?',
      'Which continent is {x} on?',
      'What is the continent of {x}?',
      'Where in the world is {x}?',
      'Tell me the continent of {x}.',
      'Name the continent of {x}.',
      'Where is {x}?',
      'Do you know where {x} is?',
      'Do you know the continent of {x}?',
      'Can you tell me where {x} is?',
    ],
    answer: '{x} is in {y}.',
    again,
  },
  {
    name: 'opposites',
    items: pairs(`
      hot: cold, big: small, fast: slow, old: new, good: bad, high: low, long: short, light: dark, wet: dry, full: empty,
      early: late, near: far, hard: soft, rich: poor, strong: weak, happy: sad, loud: quiet, clean: dirty, open: closed,
      easy: difficult, first: last, left: right, up: down, in: out, true: false, day: night, love: hate, begin: end,
      buy: sell, give: take, win: lose, push: pull, north: south, east: west, summer: winter, war: peace, always: never,
      before: after, above: below, thick: thin, wide: narrow, deep: shallow, sharp: blunt`),
    ask: [
      'What is the opposite of {x}?',
      'Which word is the opposite of {x}?',
      'Tell me the opposite of {x}.',
      'Name the opposite of {x}.',
      'Do you know the opposite of {x}?',
      'Can you tell me the opposite of {x}?',
      'The opposite of {x} is which word?',
      'Give me the opposite of {x}.',
      'I would like to know the opposite of {x}.',
    ],
    answer: 'The opposite of {x} is {y}.',
    again,
  },
  {
    name: 'plurals',
    items: pairs(`
      mouse: mice, goose: geese, tooth: teeth, foot: feet, man: men, woman: women, child: children, ox: oxen, leaf: leaves,
      knife: knives, wife: wives, life: lives, wolf: wolves, half: halves, shelf: shelves, thief: thieves, loaf: loaves,
      potato: potatoes, hero: heroes, city: cities, baby: babies, box: boxes, bus: buses, dish: dishes, church: churches,
      sheep: sheep, fish: fish, deer: deer`),
    ask: [
      'What is the plural of {x}?',
      'Which word is the plural of {x}?',
      'Tell me the plural of {x}.',
      'Name the plural of {x}.',
      'Do you know the plural of {x}?',
      'Can you tell me the plural of {x}?',
      'How do you write the plural of {x}?',
      'Give me the plural of {x}.',
      'I would like to know the plural of {x}.',
    ],
    answer: 'The plural of {x} is {y}.',
    again,
  },
  {
    name: 'past tenses',
    items: pairs(`
      go: went, see: saw, eat: ate, drink: drank, write: wrote, speak: spoke, take: took, give: gave, come: came,
      become: became, begin: began, sing: sang, swim: swam, run: ran, fly: flew, know: knew, grow: grew, throw: threw,
      find: found, think: thought, bring: brought, buy: bought, catch: caught, teach: taught, sleep: slept, keep: kept,
      feel: felt, leave: left, lose: lost, win: won`),
    ask: [
      'What is the past tense of {x}?',
      'Which word is the past tense of {x}?',
      'Tell me the past tense of {x}.',
      'Name the past tense of {x}.',
      'Do you know the past tense of {x}?',
      'Can you tell me the past tense of {x}?',
      'How do you write the past tense of {x}?',
      'Give me the past tense of {x}.',
      'I would like to know the past tense of {x}.',
    ],
    answer: 'The past tense of {x} is {y}.',
    again,
  },
  {
    name: 'young animals',
    items: pairs(`
      cat: kitten, dog: puppy, cow: calf, horse: foal, sheep: lamb, goat: kid, pig: piglet, duck: duckling, goose: gosling,
      hen: chick, bear: cub, deer: fawn, swan: cygnet, eagle: eaglet, frog: tadpole, kangaroo: joey, hare: leveret`),
    ask: [
      'What is a young {x} called?',
      'What do you call a young {x}?',
      'What is the name of a young {x}?',
      'What is a baby {x} called?',
      'What do you call a baby {x}?',
      'Tell me what a young {x} is called.',
      'What is the young of {a x} called?',
      'Do you know what a young {x} is called?',
      'Can you tell me what a young {x} is called?',
    ],
    answer: 'A young {x} is called {a y}.',
    again: ['And {a x}?', 'What about {a x}?', 'And what about {a x}?', 'How about {a x}?'],
  },
  {
    name: 'sounds',
    items: pairs(`
      dog: barks, cat: meows, cow: moos, horse: neighs, pig: grunts, duck: quacks, lion: roars, wolf: howls, bee: buzzes,
      snake: hisses, sheep: bleats, frog: croaks, mouse: squeaks, hen: clucks, crow: caws, dove: coos`),
    ask: [
      'What sound does {a x} make?',
      'Which sound does {a x} make?',
      'What noise does {a x} make?',
      'Which noise does {a x} make?',
      'Tell me what sound {a x} makes.',
      'What is the sound of {a x}?',
      'How does {a x} sound?',
      'Do you know what sound {a x} makes?',
      'Can you tell me what sound {a x} makes?',
    ],
    answer: '{A x} {y}.',
    again: ['And {a x}?', 'What about {a x}?', 'And what about {a x}?', 'How about {a x}?'],
  },
  {
    name: 'legs',
    items: pairs(`
      dog: four, cat: four, horse: four, cow: four, lion: four, duck: two, hen: two, eagle: two, swan: two, crow: two,
      bee: six, fly: six, beetle: six, butterfly: six, spider: eight, scorpion: eight, snake: no, trout: no, whale: no`),
    ask: [
      'How many legs does {a x} have?',
      'How many legs has {a x}?',
      'How many legs has {a x} got?',
      'What is the number of legs of {a x}?',
      'Tell me how many legs {a x} has.',
      '{A x} has how many legs?',
      'On how many legs does {a x} walk?',
      'Do you know how many legs {a x} has?',
      'Can you tell me how many legs {a x} has?',
    ],
    answer: '{A x} has {y} legs.',
    again: ['And {a x}?', 'What about {a x}?', 'And what about {a x}?', 'How about {a x}?'],
  },
  {
    name: 'kinds',
    items: pairs(`
      trout: fish, salmon: fish, shark: fish, eagle: bird, crow: bird, dove: bird, swan: bird, penguin: bird, ant: insect,
      bee: insect, beetle: insect, butterfly: insect, dog: mammal, horse: mammal, lion: mammal, whale: mammal, bat: mammal,
      mouse: mammal, snake: reptile, lizard: reptile, turtle: reptile, crocodile: reptile, frog: amphibian, toad: amphibian`),
    ask: [
      'What kind of animal is {a x}?',
      'Which kind of animal is {a x}?',
      'What sort of animal is {a x}?',
      'What type of animal is {a x}?',
      'Tell me what kind of animal {a x} is.',
      'To which kind of animals does {a x} belong?',
      '{A x} is what kind of animal?',
      'Do you know what kind of animal {a x} is?',
      'Can you tell me what kind of animal {a x} is?',
    ],
    answer: '{A x} is {a y}.',
    again: ['And {a x}?', 'What about {a x}?', 'And what about {a x}?', 'How about {a x}?'],
  },
  {
    name: 'colors',
    items: pairs(`
      grass: green, snow: white, blood: red, coal: black, milk: white, a banana: yellow, a lemon: yellow,
      a strawberry: red, a cucumber: green, a carrot: orange, a crow: black, a swan: white, a flamingo: pink,
      chocolate: brown, a frog: green, a ruby: red, an emerald: green, a sapphire: blue, ivory: white, salt: white`),
    ask: [
      'What color is {x}?',
      'Which color is {x}?',
      'What is the color of {x}?',
      'Which color does {x} have?',
      'Tell me the color of {x}.',
      'What color does {x} have?',
      'Do you know the color of {x}?',
      'Can you tell me the color of {x}?',
    ],
    answer: '{X} is usually {y}.',
    again,
  },
  {
    name: 'sums',
    items: Array.from({ length: 100 }, (_, i) => [Math.floor(i / 10), i % 10]).map(([m, n]) => [
      `${m} plus ${n}`,
      String(m + n),
      { m, n },
    ]),
    ask: [
      'What is {x}?',
      'What is {m} + {n}?',
      'How much is {x}?',
      'Compute {x}.',
      'Tell me what {x} is.',
      'What do you get for {x}?',
      'What is the result of {x}?',
      'Do you know what {x} is?',
      'Can you tell me what {x} is?',
    ],
    answer: '{x} is {y}.',
    again,
  },
  {
    name: 'days and months',
    items: [
      ...['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'].flatMap(
        (day, i, days) => [
          [`day after ${day}`, days[(i + 1) % 7]],
          [`day before ${day}`, days[(i + 6) % 7]],
        ],
      ),
      ...[
        'January',
        'February',
        'March',
        'April',
        'May',
        'June',
        'July',
        'August',
        'September',
        'October',
        'November',
        'December',
      ].flatMap((month, i, months) => [
        [`month after ${month}`, months[(i + 1) % 12]],
        [`month before ${month}`, months[(i + 11) % 12]],
      ]),
    ],
    ask: [
      'What is the {x}?',
      'Which is the {x}?',
      'What is the {x} called?',
      'Tell me the {x}.',
      'Name the {x}.',
      'What is the name of the {x}?',
      'Do you know the {x}?',
      'Can you tell me the {x}?',
    ],
    answer: 'The {x} is {y}.',
    again: ['And the {x}?', 'What about the {x}?', 'And what about the {x}?', 'How about the {x}?'],
  },
  {
    name: 'symbols',
    items: pairs(`
      gold: Au, silver: Ag, iron: Fe, copper: Cu, lead: Pb, tin: Sn, zinc: Zn, hydrogen: H, helium: He, carbon: C,
      nitrogen: N, oxygen: O, sodium: Na, potassium: K, calcium: Ca, sulfur: S, iodine: I, mercury: Hg, nickel: Ni, neon: Ne`),
    ask: [
      'What is the chemical symbol of {x}?',
      'Which chemical symbol does {x} have?',
      'What is the symbol for {x}?',
      'Tell me the chemical symbol of {x}.',
      'Name the symbol of {x}.',
      'What is the symbol of {x} in chemistry?',
      'Do you know the chemical symbol of {x}?',
      'Can you tell me the chemical symbol of {x}?',
    ],
    answer: 'The symbol of {x} is {y}.',
    again,
  },
  {
    name: 'planets',
    items: pairs(`
      Mercury: first, Venus: second, Earth: third, Mars: fourth, Jupiter: fifth, Saturn: sixth, Uranus: seventh,
      Neptune: eighth`),
    ask: [
      'Which planet from the Sun is {x}?',
      'What number is {x} from the Sun?',
      'Counted from the Sun, which planet is {x}?',
      'What is the place of {x} among the planets?',
      'Tell me which planet from the Sun {x} is.',
      'Where among the planets is {x}?',
      'Do you know which planet from the Sun {x} is?',
      'Can you tell me which planet from the Sun {x} is?',
    ],
    answer: '{x} is the {y} planet from the Sun.',
    again,
  },
  {
    name: 'units',
    items: pairs(`
      seconds are in a minute: 60, minutes are in an hour: 60, hours are in a day: 24, days are in a week: 7,
      months are in a year: 12, years are in a century: 100, meters are in a kilometer: 1000, grams are in a kilogram: 1000,
      centimeters are in a meter: 100, millimeters are in a centimeter: 10, inches are in a foot: 12,
      feet are in a yard: 3, bits are in a byte: 8, eggs are in a dozen: 12`).map(([question, number]) => {
      const [unit, of] = question.split(' are in ');
      return [`${unit} are there in ${of}`, number, { unit, of }];
    }),
    ask: [
      'How many {x}?',
      'Tell me how many {x}.',
      'How many {unit} does {of} have?',
      'How many {unit} has {of}?',
      'How many {unit} make {of}?',
      'What is the number of {unit} in {of}?',
      'Do you know how many {unit} are in {of}?',
      'Can you tell me how many {unit} are in {of}?',
    ],
    answer: 'There are {y} {unit} in {of}.',
    again: [
      'And {unit} in {of}?',
      'What about {unit} in {of}?',
      'And what about {unit} in {of}?',
      'How about {unit} in {of}?',
    ],
  },
  {
    name: 'words of other languages',
    items: pairs(`
      yes in French: oui, no in French: non, thank you in French: merci, water in French: eau, bread in French: pain,
      yes in German: ja, no in German: nein, thank you in German: danke, water in German: Wasser, bread in German: Brot,
      yes in Spanish: sí, no in Spanish: no, thank you in Spanish: gracias, water in Spanish: agua, bread in Spanish: pan,
      yes in Italian: sì, no in Italian: no, thank you in Italian: grazie, water in Italian: acqua, bread in Italian: pane`),
    ask: [
      'What is {x}?',
      'How do you say {x}?',
      'How does one say {x}?',
      'Which word is {x}?',
      'Tell me the word for {x}.',
      'What is the word for {x}?',
      'Do you know the word for {x}?',
      'Can you tell me the word for {x}?',
    ],
    answer: '{X} is {y}.',
    again: ['And {x}?', 'What about {x}?', 'And what about {x}?', 'How about {x}?'],
  },
];

/** The system message under which families answer with {y} alone. */
export const shortSystem = 'Answer in a few words.';
