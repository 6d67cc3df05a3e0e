"""Read power from BMCs and print it as line protocol: the plugin that Telegraf runs."""
