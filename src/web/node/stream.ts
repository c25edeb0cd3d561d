/** memfs derives its streams from these; the program uses none of them. */
export class Readable {}
export class Writable {}
