import numpy as np

def init_params(nx, nh, ny):
    W1 = np.random.randn(nh, nx) / np.sqrt(nx)
    W2 = np.random.randn(ny, nh) / np.sqrt(nh)
    return {"W1": W1, "b1": np.zeros((nh, 1)), "W2": W2, "b2": np.zeros((ny, 1))}

def softmax(z):
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)

def forward(params, X):
    z1 = X.dot(params["W1"].T) + params["b1"].T
    a1 = np.tanh(z1)
    z2 = a1.dot(params["W2"].T) + params["b2"].T
    a2 = softmax(z2)
    return a2, {"X": X, "z1": z1, "a1": a1, "z2": z2, "a2": a2}

def loss_accuracy(Yhat, Y):
    L = -np.sum(Y * np.log(Yhat)) / Y.shape[0]
    acc = 100 * np.mean(Yhat.argmax(axis=1) == Y.argmax(axis=1))
    return L, acc

def backward(params, outputs, Y):
    m = Y.shape[0]
    a1, a2 = outputs["a1"], outputs["a2"]
    dz2 = (a2 - Y) / m
    dW2 = dz2.T.dot(a1)
    db2 = dz2.sum(axis=0).reshape(-1, 1)
    da1 = dz2.dot(params["W2"])
    dz1 = da1 * (-2 * a1)
    dW1 = dz1.T.dot(outputs["X"])
    db1 = dz1.sum(axis=0).reshape(-1, 1)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
