"""What people hand in, as arrays.

In: pictures, folders, texts, lines, standard input. Out: uint8 pictures and int32 code points in
bounded memory, or one error an input. Uses `records` for its hints.
"""
