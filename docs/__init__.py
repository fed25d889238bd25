"""Code of the documentation site: mkdocs' hooks and the generated reference."""
