import { describe, expect, it } from 'vitest';
import { inSession, Interrupted } from '../../src/cli/interrupt.ts';
import { hasTerminal, run, throwawayProgram } from './run.ts';

const notice = 'saving, then stopping; once more to stop at once\n';

describe('a part of a session', () => {
  const listeners = (): number => process.listenerCount('SIGINT') + process.listenerCount('SIGTERM');

  it('that fails leaves no handlers, with which the next signal would be lost', async () => {
    const before = listeners();
    const failing = inSession(true, () => Promise.reject(new Error('too long')));
    expect(listeners()).toBe(before + 2);
    await expect(failing).rejects.toThrow('too long');
    expect(listeners()).toBe(before);
  });

  it('is ended by Ctrl-C, which ends the session too where nobody types', async () => {
    const part = (interrupted: () => boolean) => {
      process.emit('SIGINT', 'SIGINT');
      return Promise.resolve(interrupted());
    };
    expect(await inSession(true, part)).toBe(true);
    await expect(inSession(false, part)).rejects.toThrow(Interrupted);
  });
});

describe.skipIf(process.platform === 'win32')('a signal', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s lets the command save, then ends it by that signal',
    async (name) => {
      let sent = false;
      const { stderr, signal, code } = await run(['work', '--steps', '100000'], {
        script: throwawayProgram,
        onOutput(output, send) {
          if (sent || !output.includes('step 10')) return;
          sent = true;
          send(name);
        },
      });
      expect(stderr).toMatch(new RegExp(`${notice}saved\n$`));
      expect({ signal, code }).toEqual({ signal: name, code: null });
    },
  );

  it('received twice at once counts as one', async () => {
    let sent = false;
    const { stderr, signal } = await run(['work', '--steps', '100000'], {
      script: throwawayProgram,
      onOutput(output, send) {
        if (sent || !output.includes('step 10')) return;
        sent = true;
        send('SIGINT');
        setTimeout(send, 20, 'SIGINT');
        setTimeout(send, 40, 'SIGTERM');
      },
    });
    expect(stderr).toMatch(/saved\n$/);
    expect(signal).toBe('SIGINT');
  });

  it('received again later ends the process at once', async () => {
    let sent = false;
    const { stderr, signal } = await run(['work', '--steps', '100000', '--every', '5000', '--announce'], {
      script: throwawayProgram,
      onOutput(output, send) {
        if (sent || !output.includes('started')) return;
        sent = true;
        send('SIGINT');
        setTimeout(send, 500, 'SIGTERM');
      },
    });
    expect(stderr).toBe(`started\n${notice}`);
    expect(signal).toBe('SIGTERM');
  });
});

describe.runIf(hasTerminal)('on a terminal', () => {
  it('Ctrl-C saves and leaves cursor and line wrap unchanged', async () => {
    const { stdout, signal } = await run(['work', '--steps', '100000'], {
      script: throwawayProgram,
      tty: true,
      keys: [['step 20: validation loss', '\u0003']],
    });
    expect(stdout).toMatch(/saved\r\n$/);
    expect(signal).toBe('SIGINT');
    expect(stdout).not.toContain('\u001b[?'); // hide the cursor, do not wrap: all such modes begin like this
  });
});
