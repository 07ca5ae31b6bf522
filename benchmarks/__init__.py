"""How fast it is, beside what people would use otherwise; every number in docs comes from here."""
