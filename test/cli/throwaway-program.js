// The frame of the command line round commands that exist for its tests only.
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { UserError } from '../../dist/errors.js';
import { addExamples } from '../../dist/cli/help.js';
import { onInterrupt } from '../../dist/cli/interrupt.js';
import { argument, option } from '../../dist/cli/options.js';
import { choice, filePath, fraction, number, wholeNumber } from '../../dist/values.js';
import { createProgram } from '../../dist/cli/program.js';
import { startProgressBar, startPercentage } from '../../dist/cli/progress-bar.js';
import { run } from '../../dist/cli/run.js';
import { notice, print, stderrColors, verbose, warn } from '../../dist/cli/terminal.js';

const inline = (name, summary, register) => ({ name, summary, load: async () => ({ register }) });

const program = createProgram([
  inline('train', 'Train a model on a text file', (command) => {
    command
      .addArgument(argument('<corpus>', 'text to train on; - reads standard input', filePath))
      .optionsGroup('Model:')
      .addOption(option('--n-layer <n>', 'transformer blocks', wholeNumber({ min: 1 }), 6))
      .addOption(option('--dropout <p>', 'share of activations left out while training', fraction, 0.1))
      .addOption(option('--tokenizer <kind>', 'char, word or bpe', choice(['char', 'word', 'bpe']), 'bpe'))
      .optionsGroup('Optimisation:')
      .addOption(option('--learning-rate <rate>', 'the largest step of the schedule', number({ above: 0 })))
      .addOption(
        option(
          '--a-flag-with-a-long-name <value>',
          'a description that is so long that it has to be continued on another line, in its column',
          filePath,
        ),
      )
      .action(async (corpus, options) => {
        await print(JSON.stringify({ corpus, ...options }) + '\n');
      });
    addExamples(command, [
      ['A small model with the defaults', 'gpt train corpus.txt'],
      ['From a pipe', 'cat *.txt | gpt train -'],
    ]);
  }),
  inline('say', 'Write a line of every kind', (command) => {
    command.option('--long', 'lines longer than 80 columns').action(async ({ long }) => {
      if (long) {
        const rest = 'that is longer than the eighty columns of the terminal, and';
        notice(`a ${stderrColors.bold('notice')} ${rest} continues on another line`);
        warn(`a warning ${rest} continues on another line`);
        notice(`  a command ${rest} is copied whole`);
        return;
      }
      notice(`a ${stderrColors.bold('notice')}`);
      verbose('a detail');
      warn('a warning');
      await print('a result\n');
    });
  }),
  inline('flood', 'Write many lines to stdout', (command) => {
    command.addArgument(argument('<lines>', 'how many', wholeNumber())).action(async (lines) => {
      for (let i = 0; i < lines; i++) await print(`line ${i}\n`);
    });
  }),
  inline('fail', 'Fail in a given way', (command) => {
    command
      .addArgument(argument('<way>', 'user, bug, system, thread, later, after-output', filePath))
      .action(async (way) => {
        if (way === 'user')
          throw new UserError('check-failed', 'the file \u001b[31mred\u001b[0m is broken', {
            hint: 'mend it',
          });
        if (way === 'bug') throw new TypeError('undefined is not a function');
        if (way === 'system') readFileSync('/no/such/file');
        if (way === 'folder') readFileSync('/');
        if (way === 'later')
          setTimeout(() => {
            throw new RangeError('too late');
          }, 10);
        if (way === 'rejection') void Promise.reject(new Error('nobody waited'));
        if (way === 'after-output') {
          process.stdout.write('x'.repeat(5_000_000));
          throw new UserError('check-failed', 'failed after much output');
        }
        await sleep(60_000);
      });
  }),
  inline('nested', 'Group commands', (command) => {
    command
      .command('inner')
      .description('A command in a command')
      .addArgument(argument('<word>', 'anything', filePath))
      .action((word) => print(`${word}\n`));
  }),
  inline('work', 'Work with a progress bar until interrupted', (command) => {
    command
      .addOption(option('--steps <n>', 'how many', wholeNumber(), 20))
      .addOption(option('--every <ms>', 'length of a step', wholeNumber(), 20))
      .option('--announce', 'say when the work starts')
      .option('--share', 'show how much is evaluated')
      .addOption(option('--fail-at <step>', 'throw there', wholeNumber()))
      .action(async ({ steps, every, failAt, announce, share: isShare }) => {
        if (isShare) {
          const share = startPercentage('evaluated');
          share.update(1);
          return share.stop();
        }
        const interrupt = onInterrupt(() => notice('saving, then stopping; once more to stop at once'));
        if (announce) notice('started');
        const bar = startProgressBar({ label: 'step', total: steps });
        for (let step = 1; step <= steps && interrupt.signal === undefined; step++) {
          await sleep(every);
          if (step === failAt) throw new UserError('check-failed', 'the loss is not a number any more');
          bar?.update(step, [`loss ${(5 / step).toFixed(3)}`, '45,210 tok/s']);
          if (step % 10 === 0) notice(`step ${step}: validation loss ${(5 / step).toFixed(3)}`);
        }
        bar?.stop();
        if (interrupt.signal) await sleep(100);
        notice('saved');
        interrupt.end();
      });
  }),
]);

await run(program, process.argv.slice(2));
