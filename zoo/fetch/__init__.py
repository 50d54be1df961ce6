"""An entry, and its files are here.

In: an entry of the registry. Out: its files in the Hub's cache, every byte checked (`fetch`),
from folders, bundles, mirrors and hubs in turn (`sources`). Uses `records`, `stores` and
`registry`.
"""
