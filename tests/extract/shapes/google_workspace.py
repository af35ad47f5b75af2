"""Google Workspace with seven users who hold one licence each; it ends lists without a token, and empty ones without items."""

from typing import Any

import httpx

Json = Any
MAIN = "users"
RENAMED = ("id", "primaryEmail", "users", "userId", "skuId", "productId", "items", "kind", "nextPageToken")


def shape(stand_in: Any, request: httpx.Request) -> Json:
    """Answer for the directory or for one product's licences."""
    start = int(request.url.params.get("pageToken", 0))
    numbers = range(1, 8)
    if request.url.path == "/admin/directory/v1/users":
        users = [{"id": f"10{n}", "primaryEmail": f"u{n}@x.test", "name": {"fullName": f"U {n}"}, "suspended": False,
                  "archived": False} for n in numbers]  # fmt: skip
        page, following = stand_in.cut(users, start)
        return {"users": page, **({"nextPageToken": str(following)} if following else {})}
    body = {"kind": "licensing#licenseAssignmentList", "etag": "e"}
    product = request.url.path.split("/")[-2]
    if product != "Google-Apps":
        return body
    held = [{"userId": f"u{n}@x.test", "productId": product, "skuId": "1010020027"} for n in numbers]
    page, following = stand_in.cut(held, start)
    return {**body, "items": page, **({"nextPageToken": str(following)} if following else {})}
