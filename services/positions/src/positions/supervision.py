"""Who may see which account: investors their own, supervisors those given to them, administrators all."""

from __future__ import annotations

from collections.abc import Sequence

from smartex_chassis import NotFound, Principal
from smartex_store import Database


def account_unknown() -> NotFound:
    """The answer for an account that does not exist, and for one that is not the caller's to see."""
    return NotFound("no such account, or not one of yours", reason="ACCOUNT_UNKNOWN")


class Supervision:
    """The table of supervisors and their accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, caller: Principal, asked: int) -> int:
        """The account that a request is about; 0 asks for the caller's own. Raises NotFound, ACCOUNT_UNKNOWN."""
        if not asked:
            return caller.require_account()
        if not await self.may_see(caller, asked):
            raise account_unknown()
        return asked

    async def may_see(self, caller: Principal, account_id: int) -> bool:
        """Whether an account is the caller's own or was given to them."""
        if account_id == caller.account_id or "admin" in caller.scopes:
            return True
        return "operate" in caller.scopes and await self._given(caller.subject, account_id)

    async def accounts(self, supervisor: str) -> Sequence[int]:
        """Accounts given to a supervisor, ascending."""
        rows = await self._database.fetch(
            "SELECT account_id FROM positions.supervisors WHERE supervisor = $1 ORDER BY account_id",
            supervisor,
        )
        return [row["account_id"] for row in rows]

    async def assign(self, supervisor: str, account_ids: Sequence[int], *, revoke: bool) -> int:
        """Give accounts to a supervisor or take them away; returns how many there are now."""
        async with self._database.transaction() as connection:
            if revoke:
                await connection.execute(
                    "DELETE FROM positions.supervisors WHERE supervisor = $1 AND account_id = ANY($2::bigint[])",
                    supervisor,
                    account_ids,
                )
            else:
                await connection.execute(
                    """
                    INSERT INTO positions.supervisors (supervisor, account_id)
                    SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING
                    """,
                    supervisor,
                    account_ids,
                )
            count: int = await connection.fetchval(
                "SELECT count(*) FROM positions.supervisors WHERE supervisor = $1", supervisor
            )
        return count

    async def _given(self, supervisor: str, account_id: int) -> bool:
        found = await self._database.fetchval(
            "SELECT true FROM positions.supervisors WHERE supervisor = $1 AND account_id = $2",
            supervisor,
            account_id,
        )
        return found is not None
