"""Value at risk and expected shortfall, with what each holding adds."""

from .historical import Historical
from .parametric import Parametric
from .tail_risk import TailRisk

__all__ = ["Historical", "Parametric", "TailRisk"]
