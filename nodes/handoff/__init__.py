"""Films for other programs: cut lists for editors, and bundles for other people."""
