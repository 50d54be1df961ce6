"""The catalogue of a hub, for people and machines: pages without scripts, JSON, registry, OpenAPI.

models     cards out of the store, distrusted     query      filters, order, what the plot shows
plot       accuracy against cost, as SVG          blocks     a card's markdown, as data
registry   registry.yaml of this hub              openapi    its routes, described (.yaml)
pages      the handlers                           templates  HTML and CSS
"""
