"""An authenticated REST framework view that does nothing: the yardstick of every HTTP measure."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.identity import OWN_LOGIN


class Empty(APIView):
    scopes = {"POST": OWN_LOGIN}

    def post(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("api/v1/bench/empty", Empty.as_view()), path("", include("brokerage.urls"))]
