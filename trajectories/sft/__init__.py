"""SFT: a student learns from rows, on the assistant's words alone, in TRL."""
