from pynetdicom3 import AE
from pynetdicom3.sop_class import VerificationSOPClass

ae = AE(port=11112)
ae.add_supported_context(VerificationSOPClass)

def on_c_store(ds, context, info):
    """Store the pydicom Dataset `ds`.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The dataset that the peer has requested be stored.
    context : namedtuple
        The presentation context that the dataset was sent under.
    info : dict
        Information about the association and storage request.

    Returns
    -------
    status : int or pydicom.dataset.Dataset
        The status returned to the peer AE in the C-STORE response. Must be
        a valid C-STORE status value for the applicable Service Class as
        either an ``int`` or a ``Dataset`` object containing (at a
        minimum) a (0000,0900) *Status* element.
    """
    # This is just a toy implementation that doesn't store anything and
    # always returns a Success response
    return 0x0000

ae.on_c_store = on_c_store

# Listen for association requests
ae.start()
