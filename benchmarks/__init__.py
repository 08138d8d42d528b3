"""Programs that measure Delta; every figure in the README comes from one of them."""
