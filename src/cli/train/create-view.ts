import { canRedraw, isQuiet } from '../terminal.ts';
import { createLiveView } from './live-view.ts';
import { createLogView } from './log-view.ts';
import type { TrainView } from './view.ts';

/** Curves, sample and progress in place on a terminal; lines elsewhere. */
export const createView = (): TrainView => (canRedraw() && !isQuiet() ? createLiveView() : createLogView());
