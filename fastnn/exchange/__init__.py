"""Networks from and for other libraries. A library is imported when a function needs it."""
