from pynetdicom3 import (
    AE,
    StoragePresentationContexts,
    QueryRetrievePresentationContexts
)
from pynetdicom3.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

ae = AE()
# Presentation contexts proposed as a QR SCU
ae.requested_contexts = QueryRetrievePresentationContexts
# Presentation contexts supported as a Storage SCP: requires Role Selection
ae.requested_contexts = StoragePresentationContexts

# Add role selection items for the storage contexts we will be supporting
#   as an SCP
negotiation_items = []
for context in StoragePresentationContexts:
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = context.abstract_syntax
    role.scp_role = True
    negotiation_items.append(role)

# Associate with the peer at IP address 127.0.0.1 and port 11112
assoc = ae.associate('127.0.0.1', 11112, ext_neg=negotiation_items)
