"""What is particular about words that are said aloud: heard ones in their written form, written ones as a person says them."""
