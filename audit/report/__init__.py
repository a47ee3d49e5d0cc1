"""The report room: one self-contained HTML file about a run, for somebody who never saw a terminal.

It reads what the other rooms wrote and measures nothing. What is missing or damaged is said, never hidden.
"""
