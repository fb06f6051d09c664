"""How numbers, verdicts and cautions are worded, on the page and on the terminal."""
