"""The nouns of the field as frozen records: geometry, CT, masks, nodules, clinical facts, findings, comparisons.

Arrays are (K, J, I): slice, row, column. Positions and directions are LPS millimetres. ``None`` means *not computed*,
never zero.
"""
