import { canRedraw, isQuiet } from '../terminal.ts';
import { createLiveView } from './live-view.ts';
import { createLogView } from './log-view.ts';
import type { TrainView } from './view.ts';

/** A live view on a terminal, log lines elsewhere. */
export const createView = (): TrainView => (canRedraw() && !isQuiet() ? createLiveView() : createLogView());
