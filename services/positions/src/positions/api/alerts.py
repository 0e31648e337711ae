"""ListAlerts and AcknowledgeAlert."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import ClassVar

import asyncpg
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_chassis import NotFound, principal
from smartex_chassis.pages import make_token, page_size, read_token

from positions.alerting.store import AlertStore
from positions.api import told
from positions.supervision import Supervision
from positions.texts import Text

_LARGEST = 2**63 - 1

SubjectName = Callable[[str, str, int], Text]
"""From an alert's kind, subject and subject's number to the name that people know."""


class AlertsApi:
    """Alerts of the caller's account, or of one given to a supervisor. `acknowledged` is told of alerts seen."""

    scopes: ClassVar[Mapping[str, str]] = {"ListAlerts": "read", "AcknowledgeAlert": "read"}

    def __init__(
        self,
        store: AlertStore,
        supervision: Supervision,
        name_of: SubjectName,
        acknowledged: Callable[[Collection[str]], None],
    ) -> None:
        self._store = store
        self._supervision = supervision
        self._name_of = name_of
        self._acknowledged = acknowledged

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: object) -> pb.ListAlertsResponse:  # noqa: N802
        """A page of alerts, newest first."""
        account = await self._supervision.account(principal(context), request.account_id)
        size = page_size(request.page_size)
        scope = ("alerts", account, request.standing_only)
        key = read_token(scope, request.page_token)
        found = await self._store.page(
            account, standing_only=request.standing_only, before=key[0] if key else _LARGEST, limit=size + 1
        )
        page = found[:size]
        return pb.ListAlertsResponse(
            alerts=[told.alert(row, self._name(row)) for row in page],
            next_page_token=make_token(scope, page[-1]["number"]) if len(found) > size else "",
        )

    async def AcknowledgeAlert(  # noqa: N802
        self, request: pb.AcknowledgeAlertRequest, context: object
    ) -> pb.AcknowledgeAlertResponse:
        """Note that an alert was seen; again, or after it is over, it stays as it is."""
        row = await self._store.get(request.alert_id)
        if row is None or not await self._supervision.may_see(principal(context), row["account_id"]):
            raise NotFound("no such alert, or not one of yours", reason="ALERT_UNKNOWN")
        seen = await self._store.acknowledge(request.alert_id)
        if seen is not None:
            self._acknowledged([request.alert_id])
            row = seen
        return pb.AcknowledgeAlertResponse(alert=told.alert(row, self._name(row)))

    def _name(self, row: asyncpg.Record) -> Text:
        return self._name_of(row["kind"], row["subject"], row["subject_id"])
