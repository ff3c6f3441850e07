//! Operations on every kind of device.

mod device;
