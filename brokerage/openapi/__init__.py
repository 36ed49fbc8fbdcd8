"""The API's document in OpenAPI 3.1, made of the viewsets by drf-spectacular."""
