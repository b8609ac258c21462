"""Training of models of DLRM's form, whole or cut, and how good they are; needs torch only where weights are."""
