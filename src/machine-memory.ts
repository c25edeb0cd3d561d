import { totalmem } from 'node:os';

/** Upper limit of memory for this process, in bytes: that of the computer or of its container. */
export const machineMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);
