"""Words of the glossary as plain types, and all rules. No input or output; imports only itself."""
