"""What our own fields, filters and tokens are in OpenAPI. drf-spectacular finds these classes by their targets."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiFilterExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema

from accounts.rest.pages import parameter
from accounts.rest.queries import CURSOR, Query


class FieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A field tells its own JSON Schema. What may be left out of a body may be null as well."""

    target_class = "accounts.rest.fields.Field"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        field = self.target
        is_taken = direction == "request"
        schema: dict[str, Any] = dict((is_taken and field.taken) or field.schema)
        if isinstance(field.parent, Query):
            is_text = schema.get("type") == "string" and field.field_name != CURSOR
            return schema | ({"minLength": 1} if is_text else {})
        if field.allow_null or (is_taken and not field.required):
            if not field.allow_null and isinstance(schema.get("type"), str):  # else drf-spectacular does so
                schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        return schema


class ShownSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """What is shown has the keys that are told, and no other."""

    target_class = "accounts.rest.fields.Shown"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        return _mapped(self.target, auto_schema, direction) | {"additionalProperties": False}


class BodySchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A body says what no field of it can say alone."""

    target_class = "accounts.rest.fields.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        rules: dict[str, Any] = self.target.rules
        return _mapped(self.target, auto_schema, direction) | rules


def _mapped(serializer: Any, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
    """What drf-spectacular itself makes of a serializer."""
    made = auto_schema._map_serializer(serializer, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
    return dict(made)


class FilterParameters(OpenApiFilterExtension):  # type: ignore[no-untyped-call]
    """A filter tells the JSON Schema of its parameter, and its docstring what it means."""

    target_class = "accounts.rest.filters.KnownFilters"
    priority = 1

    def get_schema_operation_parameters(self, auto_schema: AutoSchema, *args: Any, **kwargs: Any) -> list[Any]:
        filters = getattr(auto_schema.view, "filterset_class", None)
        if filters is None:
            return []
        return [
            parameter(name, one.schema, " ".join((type(one).__doc__ or "").split()))
            for name, one in filters.base_filters.items()
        ]


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "brokerage.http.tokens.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A trader's from /api/v1/auth/login, an API client's from /oauth/token, "
            "or a customer's from /api/customer_tokens.",
        }
