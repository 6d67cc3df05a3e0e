// Runs Grafana's published code on query results: annotations of a layer, transformations and overrides of a panel.
// Standard input: [{layer, frames} | {panel, frames} | {stat, frames} | {length_ms, points}, …]; standard output: the
// answers in order.
import { readFileSync } from 'node:fs';
import { firstValueFrom } from 'rxjs';
import {
  createTheme,
  fieldMatchers,
  formattedValueToString,
  getDisplayProcessor,
  getFieldDisplayName,
  getFieldDisplayValues,
  getLinksSupplier,
  rangeUtil,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { VARIABLE_REGEX } from 'scenes-variables/constants.js';
import { formatRegistry } from 'scenes-variables/interpolation/formatRegistry.js';
import { DataMacro, ValueMacro } from 'scenes-variables/macros/dataMacros.js';
import { standardAnnotationSupport } from 'scenes-annotations/standardAnnotationsSupport.js';
import { postProcessQueryResult } from 'scenes-annotations/utils.js';

// It asks this global whether a dashboard is shown.
globalThis.window = globalThis;
// The order of day and month is the browser's.
globalThis.navigator ??= { languages: ['en'] };
globalThis.location ??= new URL('http://grafana.example/');
// It warns of a filter whose column is missing, which then lets nothing pass: a case that tests want.
const warn = console.warn;
console.warn = (text, ...more) => text.startsWith('[FilterByValue]') || warn(text, ...more);
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

const MACROS = { __value: ValueMacro, __data: DataMacro };

// As `sceneInterpolator` does it, which needs a browser: macros of a cell are filled in, variables stay.
function replaced(text, scoped, format) {
  return text.replace(VARIABLE_REGEX, (match, _plain, _old, _oldFormat, name, path, own) => {
    const value = MACROS[name] ? new MACROS[name](name, null, match, scoped).getValue(path?.replace(/^\./, '')) : match;
    return MACROS[name] ? formatRegistry.get(own ?? format).formatter(value ?? '', [], { state: { name } }) : match;
  });
}

// Of a panel's field configuration what texts and links need; Grafana's own way needs its registry of editors.
function configured(field, panel, frame, frames) {
  const config = { ...field.config, ...panel.fieldConfig.defaults };
  for (const override of panel.fieldConfig.overrides) {
    if (matching(override, frame, frames).includes(field.name)) {
      override.properties.forEach(({ id, value }) => (config[id] = value));
    }
  }
  return { ...field, config };
}

function cells(plain, frame, panel, frames) {
  const field = configured(plain, panel, frame, frames);
  const display = getDisplayProcessor({ field, theme: createTheme(), timeZone: 'utc' });
  const linksOf = getLinksSupplier(frame, field, {}, replaced, 'utc');
  const rows = [...Array(frame.length).keys()];
  return {
    texts: rows.map((row) => formattedValueToString(display(field.values[row]))),
    links: rows.map((row) => linksOf({ valueRowIndex: row }).map(({ href }) => href)),
  };
}

function transformed(panel, frames) {
  // Only Grafana's core has this one; it is not in a published package.
  const known = (panel.transformations ?? []).filter(({ id }) => id !== 'partitionByValues');
  return firstValueFrom(transformDataFrame(known, frames));
}

async function tables({ panel, frames }) {
  const found = await transformed(panel, frames);
  return found.map((frame) => ({
    columns: frame.fields.map((field) => ({
      name: getFieldDisplayName(field, frame, found),
      type: field.type,
      values: field.values.slice(0, frame.length),
      ...cells(field, frame, panel, found),
    })),
    overrides: panel.fieldConfig.overrides.map((override) => matching(override, frame, found)),
  }));
}

// What a stat panel shows: figures, and the values (by their times, where it has these) that its sparkline joins.
async function figures({ stat, frames }) {
  const found = await transformed(stat, frames);
  const { reduceOptions, graphMode } = stat.options;
  const shown = getFieldDisplayValues({
    data: found.map((frame) => ({ ...frame, fields: frame.fields.map((field) => configured(field, stat, frame, found)) })),
    fieldConfig: stat.fieldConfig,
    reduceOptions,
    replaceVariables: (text) => text,
    sparkline: graphMode !== 'none',
    theme: createTheme(),
    timeZone: 'utc',
  });
  return shown.map(({ display, sparkline }) => ({
    text: formattedValueToString(display),
    color: display.color,
    times: sparkline?.x?.values,
    line: sparkline?.y.values,
  }));
}

function interval({ length_ms, points, least_ms }) {
  return rangeUtil.calculateInterval({ from: 0, to: length_ms }, points, `${least_ms}ms`).intervalMs;
}

async function answered(job) {
  if (job.points) {
    return interval(job);
  }
  return (job.layer ? annotations : job.stat ? figures : tables)({ ...job, frames: job.frames.map(toDataFrame) });
}

Promise.all(JSON.parse(readFileSync(0, 'utf-8')).map(answered)).then((answers) =>
  process.stdout.write(JSON.stringify(answers))
);
