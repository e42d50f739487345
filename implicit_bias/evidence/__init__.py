"""Claims, verdicts, figures and pages: reads datasets only, so it needs neither JAX nor an accelerator."""
