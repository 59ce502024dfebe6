"""What the dashboards share: the variables that choose, and the joins that follow from them."""

from model import GREEN, RED, YELLOW, any_of, follows, steps

# The daemons that probe from the chosen vantages: series have an instance, and not the vantage.
AT = 'instance=~"$instance"'
VANTAGE = any_of("vantage", "Vantage", "label_values(probity_vantage_info, vantage)")
INSTANCE = follows("instance", 'label_values(probity_vantage_info{vantage=~"$vantage"}, instance)')
COMPONENTS = "label_values(probity_endpoint_info{%s}, component)" % AT
ENDPOINTS = 'label_values(probity_endpoint_info{%s, component=~"$component"}, endpoint)' % AT

# The addresses of the dashboards. They stay: people keep links to them.
FLEET, ENDPOINT, CONTRACT = "probity-fleet", "probity-endpoint", "probity-contract"

BAD_ABOVE_ZERO = steps((None, GREEN), (1, RED))
ODD_ABOVE_ZERO = steps((None, GREEN), (1, YELLOW))
RATIO = steps((None, RED), (0.99, YELLOW), (0.999, GREEN))


def from_where(expr: str) -> str:
    """The series with the vantage of their daemon."""
    return "(%s)\n* on (instance) group_left (vantage) probity_vantage_info" % expr
