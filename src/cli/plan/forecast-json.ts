/** A forecast for scripts. */
import type { PlannedText, RunForecast } from '../../forecast/run-forecast.ts';
import { replacementsToJson } from '../decoding-options.ts';
import { documentsJson } from '../corpus-summary.ts';
import { snakeCased } from '../json-output.ts';
import type { DeviceRow } from './forecast-text.ts';

const textAsJson = ({ corpus, tokens, replacements }: PlannedText) => {
  const { files, bytes, characters, sha256, crlf, isSorted, leftOut, ...division } = corpus;
  return {
    files,
    left_out: leftOut,
    bytes,
    characters,
    sha256,
    crlf,
    is_sorted: isSorted,
    ...documentsJson(division),
    tokens,
    ...replacementsToJson(replacements),
  };
};

export const forecastJson = (forecast: RunForecast, devices: readonly DeviceRow[], count: number) => ({
  corpus: forecast.text && textAsJson(forecast.text),
  model: {
    ...(snakeCased(forecast.config) as object),
    parameters: forecast.parameters,
    parts: forecast.parts,
  },
  training: {
    steps: forecast.steps,
    tokens_per_step: forecast.tokensPerStep,
    tokens: forecast.tokens,
    options: snakeCased(forecast.settings),
  },
  flops: forecast.flops,
  flops_per_parameter: forecast.flopsPerParameter,
  attention_flops: forecast.attentionFlops,
  state_bytes: forecast.stateBytes,
  memory_bytes: forecast.memoryBytes,
  gpu: forecast.gpu && {
    name: forecast.gpu.name,
    buffer_bytes: forecast.memoryLimit.bytes,
    gemm_flops: forecast.gpu.gemmFlops,
    read_bandwidth: forecast.gpu.readBandwidth,
    launch_seconds: forecast.gpu.launchSeconds,
  },
  here: {
    step_seconds: forecast.here.stepSeconds,
    seconds: forecast.here.seconds,
    flops_per_second: forecast.here.flopsPerSecond,
    fits: forecast.memoryBytes <= forecast.memoryLimit.bytes,
  },
  devices: devices.map((row) => ({
    name: row.name,
    count,
    peak_flops: row.peakFlops,
    utilization: row.utilization,
    dollars_per_hour: row.dollarsPerHour,
    seconds: row.seconds,
    years: row.seconds / (365.25 * 86_400),
    dollars: row.dollars,
    least_devices: row.leastDevices,
  })),
});
