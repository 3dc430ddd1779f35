"""A program that writes the reports of the manufacturing track: what a programmer would do.

It knows the rule of each report, as the instruction and the sheet state it, and how sheets look in
the training part. It sees no facts and no reference of the record that it answers. Where a sheet
is written in another way than those it was made for, it says nothing. Read reading.py first.
"""
