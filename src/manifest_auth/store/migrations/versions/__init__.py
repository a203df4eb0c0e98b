"""One module for each revision of the schema. One that was released never changes, and imports no code that may."""
