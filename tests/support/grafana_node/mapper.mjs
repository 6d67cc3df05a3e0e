// Runs Grafana's published code on query results: annotations of a layer, transformations and overrides of a panel.
// Standard input: [{layer, frames} | {panel, frames} | {length_ms, points}, …]; standard output: the answers in order.
import { readFileSync } from 'node:fs';
import { firstValueFrom } from 'rxjs';
import {
  fieldMatchers,
  getFieldDisplayName,
  rangeUtil,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { standardAnnotationSupport } from 'scenes-annotations/standardAnnotationsSupport.js';
import { postProcessQueryResult } from 'scenes-annotations/utils.js';

// It asks this global whether a dashboard is shown.
globalThis.window = globalThis;
// Two names of one transformer are in the list.
const transformers = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one }))
);

async function annotations({ layer, frames }) {
  const annotation = standardAnnotationSupport.prepareAnnotation(layer);
  const events = await firstValueFrom(standardAnnotationSupport.processEvents(annotation, frames));
  return postProcessQueryResult(annotation, events).map(({ source, ...event }) => event);
}

function matching(override, frame, frames) {
  const matches = fieldMatchers.get(override.matcher.id).get(override.matcher.options);
  return frame.fields.filter((field) => matches(field, frame, frames)).map((field) => field.name);
}

async function tables({ panel, frames }) {
  // Only Grafana's core has this one; it is not in a published package.
  const known = (panel.transformations ?? []).filter(({ id }) => id !== 'partitionByValues');
  const found = await firstValueFrom(transformDataFrame(known, frames));
  return found.map((frame) => ({
    columns: frame.fields.map((field) => ({
      name: getFieldDisplayName(field, frame, found),
      type: field.type,
      values: field.values.slice(0, frame.length),
    })),
    overrides: panel.fieldConfig.overrides.map((override) => matching(override, frame, found)),
  }));
}

function interval({ length_ms, points }) {
  return rangeUtil.calculateInterval({ from: 0, to: length_ms }, points, '10s').intervalMs;
}

async function answered(job) {
  if (job.points) {
    return interval(job);
  }
  return (job.layer ? annotations : tables)({ ...job, frames: job.frames.map(toDataFrame) });
}

Promise.all(JSON.parse(readFileSync(0, 'utf-8')).map(answered)).then((answers) =>
  process.stdout.write(JSON.stringify(answers))
);
