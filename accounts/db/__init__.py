"""How this product speaks to PostgreSQL where Django's ORM is not enough."""
