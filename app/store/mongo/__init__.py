"""The store for many machines: a MongoDB replica set. https://www.mongodb.com/docs/manual/core/transactions/"""
from app.store.mongo.store import MongoStore

__all__ = ["MongoStore"]
