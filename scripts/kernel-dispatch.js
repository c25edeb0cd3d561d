/**
 * The AssemblyScript that follows from the table of instructions (engine/signatures.ts): a class for each instruction, with its
 * arguments as named fields, and the dispatcher that calls the kernels.
 */

const header = '// Written by scripts/kernel-dispatch.js from engine/signatures.ts.\n';

const capitalized = (name) => name[0].toUpperCase() + name.slice(1);

/** The class of an instruction's arguments: `AdamwArguments`. */
const className = (kernel) => `${capitalized(kernel)}Arguments`;

/**
 * The 32-bit words of an instruction after its opcode, as engine/wasm/encode.ts encodes them. The argument `y` of role `accumulate`
 * takes two: its address, and the flag `accumulateY`.
 */
function fieldsOf(parameters) {
  return Object.entries(parameters).flatMap(([name, role]) => {
    if (role === 'size') return [{ name, type: 'i32' }];
    if (role === 'scalar') return [{ name, type: 'f32' }];
    const address = { name, type: 'usize' };
    return role === 'accumulate'
      ? [address, { name: `accumulate${capitalized(name)}`, type: 'i32' }]
      : [address];
  });
}

/** generated/arguments.ts: one class for each instruction, laid over its words in memory. */
export function argumentClasses(signatures) {
  const classes = Object.entries(signatures).map(([kernel, parameters]) => {
    const fields = fieldsOf(parameters).map(({ name, type }) => `  ${name}: ${type};\n`);
    return `\n@unmanaged\nexport class ${className(kernel)} {\n  opcode: i32;\n${fields.join('')}}\n`;
  });
  return header + classes.join('');
}

/**
 * generated/dispatch.ts: calls the kernel of the instruction at an address; returns the address of the next one.
 *
 * @param kernels where each kernel is and how it takes its arguments: Map of name to { file, takesClass }
 */
export function dispatcher(signatures, kernels) {
  const imports = [];
  const cases = Object.entries(signatures).map(([kernel, parameters], opcode) => {
    const { file, takesClass } = kernels.get(kernel) ?? { file: 'main', takesClass: true };
    imports.push(`import { ${kernel} } from '../${file}';\n`);
    const fields = fieldsOf(parameters);
    const args = takesClass
      ? `changetype<${className(kernel)}>(at)`
      : fields.map(({ type }, i) => `load<${type}>(at, ${4 * (i + 1)})`).join(', ');
    return `    case ${opcode}:\n      ${kernel}(thread, threads, ${args});\n      return at + ${4 * (fields.length + 1)};\n`;
  });
  const classes = Object.keys(signatures).filter((kernel) => kernels.get(kernel)?.takesClass);
  return `${header}import { ${classes.map(className).join(', ')} } from './arguments';
${imports.join('')}
export function execute(at: usize, thread: i32, threads: i32): usize {
  switch (load<i32>(at)) {
${cases.join('')}    default:
      unreachable();
  }
  return 0;
}
`;
}

/** The kernels that an AssemblyScript source exports, for `dispatcher`. */
export function kernelsIn(text, file) {
  return [...text.matchAll(/^export function (\w+)\(([^)]*)\)/gm)].map(([, name, parameters]) => [
    name,
    { file, takesClass: parameters.includes(`: ${className(name)}`) },
  ]);
}
