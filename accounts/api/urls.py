from django.urls import re_path

from accounts.api import accounts, clients, customers, identity

urlpatterns = [
    re_path(r"^api/v1/auth/signup/?$", identity.SignupView.as_view()),
    re_path(r"^api/v1/auth/login/?$", identity.LoginView.as_view()),
    re_path(r"^api/v1/auth/refresh/?$", identity.RefreshView.as_view()),
    re_path(r"^api/v1/auth/logout/?$", identity.LogoutView.as_view()),
    re_path(r"^oauth/token/?$", clients.TokenView.as_view()),
    re_path(r"^api/customer_tokens/?$", clients.CustomerTokenView.as_view()),
    re_path(r"^api/customers/?$", customers.CustomersView.as_view()),
    re_path(r"^api/customers/(?P<guid>[^/]+)/?$", customers.CustomerView.as_view()),
    re_path(r"^api/accounts/?$", accounts.AccountsView.as_view()),
    re_path(r"^api/accounts/(?P<guid>[^/]+)/?$", accounts.AccountView.as_view()),
    re_path(r"^api/assets/?$", accounts.AssetsView.as_view()),
]
