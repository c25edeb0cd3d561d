import type { Buffer, Instruction } from './instruction.ts';
import { isBuffer, signatures, WRITE_ROLES, type Argument, type Role } from './signatures.ts';

/** The buffers that an instruction changes. */
export function writtenBy({ kernel, args }: Instruction): Buffer[] {
  const buffers = args as Readonly<Record<string, Argument<Buffer>>>;
  return Object.entries<Role>(signatures[kernel]).flatMap(([name, role]) => {
    const buffer = buffers[name];
    return WRITE_ROLES.has(role) && isBuffer(buffer) ? [buffer] : [];
  });
}
