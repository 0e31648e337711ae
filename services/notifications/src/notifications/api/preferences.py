"""GetPreferences and SetPreferences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import InvalidInput

from notifications import contract
from notifications.api.validation import own_account, reading, refuse
from notifications.domain import preferences
from notifications.store.preferences import PreferenceStore


class PreferencesApi:
    """What the caller wants to hear."""

    scopes: ClassVar[Mapping[str, str]] = {"GetPreferences": "read", "SetPreferences": "trade"}

    def __init__(self, store: PreferenceStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def GetPreferences(  # noqa: N802
        self, request: pb.GetPreferencesRequest, context: object
    ) -> pb.GetPreferencesResponse:
        """What holds now; the house's for who has said nothing."""
        wanted = await self._store.get(own_account(context))
        return pb.GetPreferencesResponse(preferences=contract.preferences_message(wanted))

    async def SetPreferences(  # noqa: N802
        self, request: pb.SetPreferencesRequest, context: object
    ) -> pb.SetPreferencesResponse:
        """Replace all of it."""
        account = own_account(context)
        if not request.HasField("preferences"):
            raise InvalidInput("preferences: give all of them", field="preferences")
        with reading("preferences."):
            wanted = contract.preferences(request.preferences)
        wrong = [(f"preferences.{field}", why) for field, why in preferences.problems(wanted)]
        if wrong:
            raise refuse(wrong)
        await self._store.set(account, wanted, self._clock())
        return pb.SetPreferencesResponse(preferences=contract.preferences_message(wanted))
