"""What every JSON body of the API is made of."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from bridge.store import PAGE_DEFAULT, PAGE_MAX

SECOND_MAX: Final = 2**40
"""Latest UTC second that is asked for."""


class RequestShape(BaseModel):
    """What is sent: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerShape(BaseModel):
    """What is answered: nothing that its schema does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(RequestShape):
    """Which page of a listing: newest first, `cursor` as the page before gave it in `next`."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT
    cursor: Annotated[str, Field(max_length=40)] | None = None
