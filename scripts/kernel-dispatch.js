/**
 * Generates AssemblyScript from the host's declarations: a class for each instruction of engine/signatures.ts, with its
 * arguments as named fields; the dispatcher that calls the kernels; and the constants that host and kernels share.
 */

const header = '// Written by scripts/kernel-dispatch.js.\n';

const capitalized = (name) => name[0].toUpperCase() + name.slice(1);

/** The class of an instruction's arguments: `AdamwArguments`. */
const className = (kernel) => `${capitalized(kernel)}Arguments`;

/**
 * The 32-bit words of an instruction after its opcode, as engine/wasm/encode.ts encodes them. The argument `y` of role
 * `accumulate` takes two: its address, and the flag `accumulateY`. `weights` too: address, and storage type
 * `yType`. Constants take the address of the first one.
 */
function fieldsOf(parameters) {
  return Object.entries(parameters).flatMap(([name, role]) => {
    if (role === 'size') return [{ name, type: 'i32' }];
    if (role === 'scalar') return [{ name, type: 'f32' }];
    const address = { name, type: 'usize' };
    if (role === 'weights') return [address, { name: `${name}Type`, type: 'i32' }];
    return role === 'accumulate'
      ? [address, { name: `accumulate${capitalized(name)}`, type: 'i32' }]
      : [address];
  });
}

/** An unmanaged class, a view of 32-bit words in memory. */
const structure = (name, fields) =>
  `\n@unmanaged\nexport class ${name} {\n${fields.map((field) => `  ${field.name}: ${field.type};\n`).join('')}}\n`;

/**
 * generated/arguments.ts: a class for each instruction, one for the hyperparameters of an optimizer, and those of argument
 * blocks.
 *
 * @param hyper the slot of each hyperparameter; slots are numbered without gaps
 * @param blocks by the names of their classes, the fields of each block and their types, in order
 */
export function argumentClasses(signatures, hyper, blocks) {
  const instructions = Object.entries(signatures).map(([kernel, parameters]) =>
    structure(className(kernel), [{ name: 'opcode', type: 'i32' }, ...fieldsOf(parameters)]),
  );
  const slots = Object.entries(hyper).map(([name, slot], i) => {
    if (slot !== i) throw new Error(`hyperparameter ${name} is in slot ${slot}, not ${i}`);
    return { name, type: 'f32' };
  });
  const blockClasses = Object.entries(blocks).map(([name, fields]) =>
    structure(
      name,
      Object.entries(fields).map(([field, type]) => ({ name: field, type })),
    ),
  );
  return header + [...instructions, structure('Hyperparameters', slots), ...blockClasses].join('');
}

/** generated/constants.ts. @param constants by type: { usize: { SPINS: 1216, … }, … } */
export function constantDeclarations(constants) {
  const lines = Object.entries(constants).flatMap(([type, values]) =>
    Object.entries(values).map(([name, value]) => `export const ${name}: ${type} = ${value};\n`),
  );
  return header + lines.join('');
}

/**
 * generated/dispatch.ts: calls the kernel of the instruction at an address; returns the address of the next one.
 *
 * @param files Map from the name of each kernel to its file in src/kernels/
 */
export function dispatcher(signatures, files) {
  const kernels = Object.keys(signatures);
  const imports = kernels.map((kernel) => `import { ${kernel} } from '../${files.get(kernel) ?? 'main'}';\n`);
  const cases = kernels.map((kernel, opcode) => {
    const type = className(kernel);
    return `    case ${opcode}:\n      ${kernel}(changetype<${type}>(at));\n      return at + offsetof<${type}>();\n`;
  });
  return `${header}import { ${kernels.map(className).join(', ')} } from './arguments';
${imports.join('')}
export function execute(at: usize): usize {
  switch (load<i32>(at)) {
${cases.join('')}    default:
      unreachable();
  }
  return 0;
}
`;
}

/** The kernels in an AssemblyScript source: the exported functions that take an instruction's arguments. */
export const kernelsIn = (text) =>
  [...text.matchAll(/^export function (\w+)\(args: \w+Arguments\)/gm)].map(([, name]) => name);
