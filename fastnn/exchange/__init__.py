"""Networks from and for other libraries, which are imported when a function needs them."""
