"""A card as a page.

In: a Card record. Out: card.json, README.md, figures, the Hub's metadata (`writing`, `page`), and
whether licences let it be published (`licences`). What a task says in its own words is in its
Words (`words`). Uses `records`.
"""
