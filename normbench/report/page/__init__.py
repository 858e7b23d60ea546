"""The page: one file that tells a reader all that a results folder holds.

- sections.py: the reader's questions, in order, and what answers each
- outcomes.py: what runs came to, as tables and charts, ours beside the article's
- ranks.py: norms in order
- measured.py: what probes measured, as charts
- anything.py: charts of a probe that the page knows nothing of
- verdicts.py: claims, their verdicts, and which records they follow from
- charts.py: a chart as plain data, which the browser draws
- explorer.py: one training, step by step
- write.py: all of it in one file, with templates, styles and scripts, and nothing from elsewhere

Numbers are made here, from the same functions as tables and figures; the browser only draws them.
Files of ``vendor`` are others' work, under the licences beside them.
"""
