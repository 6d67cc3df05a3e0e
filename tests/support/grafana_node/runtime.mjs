// Stands in for @grafana/runtime, of which the mapper takes the theme's colours alone.
import { createTheme } from '@grafana/data';

export const config = { theme2: createTheme() };
