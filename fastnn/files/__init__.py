"""Files: models, tables, and how one is replaced without ever being half written."""
